-- Applications that are not deleted, with their metadata.
SELECT to_json(application)::text, applicationmetadata.data::text
FROM application
LEFT JOIN applicationmetadata ON applicationmetadata.id = application.id
WHERE NOT application.deleted
ORDER BY application.id
