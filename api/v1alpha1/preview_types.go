package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PreviewAnnotationPrefix begins the name of an annotation that asks for a preview of
// the version. What follows is the hash of the preview's code; the value is
// HOSTAPP@TIME, the host app and when it ends.
const PreviewAnnotationPrefix = "preview.miniprogram.dev/"

// Values of status.previews.state.
const (
	PreviewLive    = "Live"
	PreviewRefused = "Refused"
)

// PreviewStatus is one preview of a version: whoever has its code may run the version
// in the host app, approved or not.
type PreviewStatus struct {
	// codeHash is that of the preview's code, in hexadecimal digits. The code is known
	// to whoever asked.
	// +kubebuilder:validation:MinLength=32
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{32}$`
	// +required
	CodeHash string `json:"codeHash,omitempty"`
	// hostApp in which the version may be run. Unset: the annotation cannot be read.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +optional
	HostApp string `json:"hostApp,omitempty"`
	// startTime is when it was first handed out. Unset: it never was.
	// +optional
	StartTime *metav1.Time `json:"startTime,omitempty"`
	// expirationTime is when it ends. Unset: the annotation cannot be read.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
	// state is Live, or Refused where it is not handed out.
	// +kubebuilder:validation:Enum=Live;Refused
	// +required
	State string `json:"state,omitempty"`
	// message says why it is refused. Unset: it is not.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`
}
