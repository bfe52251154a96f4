"""`python -m josrc_keras.train`, as recorded runs quote it; see `commands.train`."""

from josrc_keras.commands.train import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
