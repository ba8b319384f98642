"""From measurements to scenario keys: traffic profiles and distributions of work, with how well they fit."""
