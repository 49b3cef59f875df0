// Shows the description of the service with Swagger UI, which is served from the same address.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger",
  deepLinking: false,
  tryItOutEnabled: true,
  validatorUrl: null,
});
