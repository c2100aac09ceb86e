// Runs once for the whole program, apart from the pages. It only keeps what a
// support request needs: how the program was opened and what failed last.
const session = { opened: null, visits: 0, lastError: null };

global.addEventListener("globallaunched", () => {
  const input = global.inputObject;
  session.opened = { page: input ? input.pagePath : "pages/home/index", at: Date.now() };
});

global.addEventListener("globalshown", () => {
  session.visits += 1;
});

global.addEventListener("globalerror", () => {
  const failure = global.lifecycleError;
  session.lastError = failure ? failure.errorDescription : "unknown";
  console.error("Corner Grocer: " + session.lastError);
});
