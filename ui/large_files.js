// Tells of files that are too large for the uploader, which it never hands over and forgets with the others it took.

let stop = () => {};

export default function ({ data, setTriggerValue }) {
  stop();
  const tell = (files) => {
    const large = [...files].filter((file) => file.size > data.most).map((file) => file.name);
    if (large.length) setTriggerValue("large", large);
  };
  const onChange = ({ target }) => {
    if (target.type === "file") tell(target.files);
  };
  const onDrop = ({ target, dataTransfer }) => {
    if (target.closest('[data-testid="stFileUploader"]')) tell(dataTransfer.files);
  };
  // One for each call: the clean-up of a call may come after the next call has begun to listen.
  const listening = new AbortController();
  // On their way down: before Streamlit, which empties the field.
  const options = { capture: true, signal: listening.signal };
  document.addEventListener("change", onChange, options);
  document.addEventListener("drop", onDrop, options);
  stop = () => listening.abort();
  return stop;
}
