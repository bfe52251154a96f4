"""The door of `python -m josrc_keras.train`, which recorded runs quote."""

from josrc_keras.commands.train import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
