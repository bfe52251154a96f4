"""The worker of `step.py` that multiplies matrices, which is the machine's ceiling.

    matmul_step.py STEPS BATCH

A step is one product of two matrices of 4096 x 4096 in float32, by TensorFlow with
oneDNN. Of TensorFlow and NumPy at sizes from 1024 to 6144, this was the fastest here.
"""

import os

from pipe import serve

SIZE = 4096


def main():
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import tensorflow as tf

    matrix = tf.random.normal((SIZE, SIZE))
    product = tf.function(lambda: tf.matmul(matrix, matrix)[0, 0])
    serve(lambda: product().numpy(), flops=2 * SIZE**3, tensorflow=tf.__version__)


if __name__ == "__main__":
    main()
