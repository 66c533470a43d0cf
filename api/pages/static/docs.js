// SPDX-License-Identifier: Apache-2.0
// Starts Swagger UI on our own description; nothing is sent anywhere but here.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  validatorUrl: null,
});
