"""The cogorch engine: observations, rewards, evidence, policies and their activation. Imports no Dagster."""
