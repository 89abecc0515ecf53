"""What happens to data that is there: it is extended, its classes are renamed, or it leaves again."""
