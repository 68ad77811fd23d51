// Tells of files that are too large for the uploader, which it never hands over and forgets with the others it took.

let stopListening = () => {};

export default function ({ data, setTriggerValue }) {
  stopListening();
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
  // Before Streamlit, which empties the field.
  document.addEventListener("change", onChange, true);
  document.addEventListener("drop", onDrop, true);
  stopListening = () => {
    document.removeEventListener("change", onChange, true);
    document.removeEventListener("drop", onDrop, true);
  };
  return stopListening;
}
