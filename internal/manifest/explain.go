package manifest

import (
	"context"
	"net/http"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miniprogram-dev/miniprogram-operator/api/v1alpha1"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/document"
)

// Bounds of what is explained. Whoever asks makes the Kubernetes API answer two
// questions before he is known, so that few are asked at a time.
const (
	maxExplained     = 20
	explainersAtOnce = 8
	reviewTimeout    = 5 * time.Second
	maxBearerBytes   = 16 << 10
)

// verbExplain is the right to be told what a user of a host app gets, on
// hostapps.miniprogram.dev.
const verbExplain = "explain"

// Rules that are tried before the document is applied.
const (
	rulePublished decide.Rule = "Published" // is there a document for this host app
	ruleExpiry    decide.Rule = "Expiry"    // may it still be acted upon
	ruleLists     decide.Rule = "Lists"     // are the lists there that it needs
)

// explainAnswer is what resolve would say of a program, with all that was tried.
type explainAnswer struct {
	resolveAnswer
	Cohort decide.Cohort  `json:"cohort,omitempty"`
	Tried  []decide.Tried `json:"tried"`
}

type explainResponse struct {
	HostApp  string          `json:"hostApp"`
	Programs []explainAnswer `json:"programs"`
}

// postExplain tells who may know what one user gets, and why. It answers
// whatever dialects and access tokens the host app has, for it is no host app who asks.
func (s *Service) postExplain(w http.ResponseWriter, r *http.Request) *Problem {
	if !s.options.Explain {
		return problem(CodeExplainDisabled, "start the manifest service with -explain, and let it create tokenreviews and subjectaccessreviews (config/components/explain)")
	}
	name := r.PathValue("host")
	who, p := s.mayExplain(r, name)
	if p != nil {
		return p
	}
	h := s.store.current.Load().hosts[name]
	if h == nil {
		return problem(CodeUnknownHost, "no host app has this name")
	}
	var request resolveRequest
	if p := readJSON(w, r, &request); p != nil {
		return p
	}
	if p := request.check(maxExplained); p != nil {
		return p
	}
	if h.config.Availability == hostAppDisabled {
		return problem(CodeHostAppDisabled, "host app %s is disabled: nothing is served to it, and nothing changes on its devices", name)
	}
	response := explainResponse{HostApp: name}
	base := s.base(r)
	for i := range request.Programs {
		response.Programs = append(response.Programs, s.explain(h, &request, &request.Programs[i], base))
	}
	text, err := marshal(response)
	if err != nil {
		return problem(CodeInternal, "the answer cannot be written").because(err)
	}
	s.log.Info("Explained what a user gets.", "hostApp", name, "to", who, "programs", len(request.Programs))
	header := w.Header()
	header["Cache-Control"] = cacheNever
	header["Content-Type"] = []string{"application/json"}
	header["X-Content-Type-Options"] = noSniff
	header["Content-Length"] = lengthOf(text)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(text) // the client has gone: nobody to tell
	return nil
}

// explain is resolve of one program, by the same code, with what was tried.
func (s *Service) explain(h *host, request *resolveRequest, asked *resolveProgram, base string) explainAnswer {
	var answer explainAnswer
	var applied []decide.Tried
	found := s.resolve(h, request, asked, func(doc *document.Release, q decide.Request) (d decide.Decision, err error) {
		d, applied, err = decide.Explain(doc, q)
		answer.Cohort = d.Cohort
		return d, err
	})
	answer.resolveAnswer = found.answer(base)
	tell := func(rule decide.Rule, outcome decide.Outcome, why string) {
		answer.Tried = append(answer.Tried, decide.Tried{Rule: rule, Outcome: outcome, Why: why})
	}
	switch answer.Reason {
	case ReasonChannelNotEnabled:
		tell(rulePublished, decide.OutcomeDecided, "the host app has not opted into the channel "+answer.Channel+": nothing changes on the device")
		return answer
	case ReasonUnknownProgram:
		tell(rulePublished, decide.OutcomeDecided, "nothing is published under this app ID for the host app: nothing changes on the device")
		return answer
	}
	doc := h.programs[slot{asked.AppID, answer.Channel}].doc
	tell(rulePublished, decide.OutcomePassed, "Rollout "+doc.Rollout.Namespace+"/"+doc.Rollout.Name+" has published a document for the host app")
	expiry := doc.ExpiresAt.UTC().Format(time.RFC3339)
	if answer.Reason == ReasonExpired {
		tell(ruleExpiry, decide.OutcomeDecided, "the document has expired at "+expiry+" and nothing changes on the device: see that the manager runs")
		return answer
	}
	tell(ruleExpiry, decide.OutcomePassed, "the document can be acted upon until "+expiry)
	answer.Tried = append(answer.Tried, applied...)
	if answer.Reason == ReasonServiceDecides {
		tell(ruleLists, decide.OutcomeDecided, "the document needs lists that the service does not have: nothing changes on the device")
	}
	return answer
}

// mayExplain asks the Kubernetes API whose the request's token is, and whether he
// may be told. Neither answer is kept: a right that is taken away is gone at once.
func (s *Service) mayExplain(r *http.Request, host string) (who string, p *Problem) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if len(r.Header["Authorization"]) != 1 || !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > maxBearerBytes {
		return "", unknownCaller("the request needs one header Authorization: Bearer with a token of the Kubernetes cluster", "")
	}
	select {
	case s.explainers <- struct{}{}:
		defer func() { <-s.explainers }()
	default:
		p := problem(CodeBusy, "as many explanations are under way as are allowed at a time: ask again")
		p.retryAfter = 1
		return "", p
	}
	ctx, cancel := context.WithTimeout(r.Context(), reviewTimeout)
	defer cancel()
	review, err := s.options.Client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", problem(CodeReviewUnavailable, "the Kubernetes API does not say whose the token is").because(err)
	}
	if !review.Status.Authenticated {
		return "", unknownCaller("the Kubernetes cluster does not know this token: it may have expired", "invalid_token")
	}
	user := review.Status.User
	extra := map[string]authorizationv1.ExtraValue{}
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	access, err := s.options.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Group: v1alpha1.GroupVersion.Group, Resource: "hostapps", Verb: verbExplain, Name: host,
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", problem(CodeReviewUnavailable, "the Kubernetes API does not say what %s may do", user.Username).because(err)
	}
	if !access.Status.Allowed {
		return "", problem(CodeForbidden, "%s may not explain what users of this host app get: ask for verb explain on hostapps.miniprogram.dev with this name (ClusterRole miniprogram-explainer has it, by a ClusterRoleBinding)", user.Username)
	}
	return user.Username, nil
}

// unknownCaller never repeats the token.
func unknownCaller(detail, code string) *Problem {
	p := problem(CodeUnauthorized, "%s", detail)
	p.challenge = `Bearer realm="kubernetes"`
	if code != "" {
		p.challenge += `, error="` + code + `"`
	}
	return p
}
