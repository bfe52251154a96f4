"""Entry point of `python -m josrc_keras.reproduce`, a command that old runs record."""

from josrc_keras.commands.reproduce import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
