"""The paper's evaluation, section 4, on models and data named by the user: `make paper DATA=folder`."""
