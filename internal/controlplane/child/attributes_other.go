//go:build unix && !linux

package child

import "syscall"

// attributes leaves out the signal at the parent's death, which only Linux has.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
