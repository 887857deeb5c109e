"""Every document that crosses a boundary, as pydantic records. Importing this loads neither torch nor HDF5."""
