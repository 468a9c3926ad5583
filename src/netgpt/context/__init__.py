"""What the box knows that may help a request: where it stands, what time it is, what is near, who asks."""
