-- Endpoints that are not deleted, of applications that are not, with their metadata.
SELECT application.org_id, to_json(endpoint)::text, endpointmetadata.data::text
FROM endpoint
JOIN application ON application.id = endpoint.app_id AND NOT application.deleted
LEFT JOIN endpointmetadata ON endpointmetadata.id = endpoint.id
WHERE NOT endpoint.deleted
ORDER BY endpoint.app_id, endpoint.id
