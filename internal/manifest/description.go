package manifest

import (
	_ "embed" // for the description
	"net/http"
	"sync"

	"sigs.k8s.io/yaml"
)

// openAPI describes every address of Handler, in OpenAPI 3.1.
//
//go:embed openapi.yaml
var openAPI []byte

// description is the same as JSON, made when it is first asked for.
var description = sync.OnceValues(func() (*encoded, error) {
	text, err := yaml.YAMLToJSON(openAPI)
	if err != nil {
		return nil, err
	}
	return encode("application/json", text), nil
})

// getDescription tells what can be asked, and what is answered.
func (s *Service) getDescription(w http.ResponseWriter, r *http.Request) *Problem {
	body, err := description()
	if err != nil {
		return problem(CodeInternal, "the description cannot be written as JSON").because(err)
	}
	body.serve(w, r, cacheMinutes)
	return nil
}
