"""The door of `python -m josrc_keras.reproduce`, which recorded runs quote."""

from josrc_keras.commands.reproduce import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
