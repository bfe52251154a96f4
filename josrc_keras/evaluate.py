"""Entry point of `python -m josrc_keras.evaluate`, a command that old runs record."""

from josrc_keras.commands.evaluate import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
