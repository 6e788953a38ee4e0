-- The process of "lease_holder", so that another can see that it is gone for good; NULL where the system does not tell.
ALTER TABLE grants ADD COLUMN lease_process TEXT;
