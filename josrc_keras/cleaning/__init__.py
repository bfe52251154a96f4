"""What a person does with an audit: read it, plan changes, move photos, undo."""
