"""The door of `python -m josrc_keras.evaluate`, which recorded runs quote."""

from josrc_keras.commands.evaluate import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
