use llm_sidecar_client::Engine;
use llm_sidecar_client::types::{ChatCreate, UserMessage};

#[tokio::main]
async fn main() -> Result<(), llm_sidecar_client::Error> {
    let engine = Engine::spawn("path/to/sidecar", "my-app").await?;
    let question = ChatCreate::new([UserMessage::new("What is photosynthesis?")]);
    let mut answer = engine.chat().stream(&question);
    while let Some(text) = answer.next_text().await {
        print!("{}", text?);
    }
    engine.close().await;
    Ok(())
}
