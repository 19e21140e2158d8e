"""What follows from a version for those who run the fleet: effects worth knowing, in sentences, and what to do."""
