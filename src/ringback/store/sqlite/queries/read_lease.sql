-- Does a lease stand?
SELECT EXISTS (SELECT 1 FROM node WHERE epoch = ? AND id = ? AND is_gone = 0)
