"""Runs around runs: what was measured is remembered, stored under its identity, and not measured again."""
