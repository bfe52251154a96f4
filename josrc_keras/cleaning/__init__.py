"""What a person does with an audit: read it, plan, move photos, undo."""
