"""Judging: the same items through the SavedModel and every candidate, in runners on devices."""
