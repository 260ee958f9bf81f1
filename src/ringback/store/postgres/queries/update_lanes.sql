-- Make lanes say again when the earliest of their rows is due. A parked lane stays parked.
SELECT correct_lanes($1)
