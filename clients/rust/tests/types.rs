//! The types beside the schema they were generated from, and as they cross the wire.

use std::path::Path;

use llm_sidecar_client::types::*;
use llm_sidecar_client::{Error, Notification};
use serde_json::{Value, json};

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../protocol/schema.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_code_has_an_arm() {
    for code in schema()["errors"].as_array().unwrap() {
        let body: ErrorBody =
            serde_json::from_value(json!({"code": code, "message": "m"})).unwrap();
        let error = Error::from(body);
        assert!(!matches!(error, Error::Other { .. }), "{code}");
        assert_eq!(error.code(), code);
    }
}

#[test]
fn the_limits_are_the_protocols() {
    let (schema, limits) = (schema(), serde_json::to_value(Limits::default()).unwrap());
    for (name, value) in limits.as_object().unwrap() {
        assert_eq!(&schema["limits"][name], value, "{name}");
    }
}

#[test]
fn params_leave_out_what_was_not_set() {
    let params = ChatCreate::new([
        ChatMessage::from(SystemMessage::new("Be brief.")),
        UserMessage::new("Hello").name("Ada").into(),
    ])
    .temperature(0.5)
    .stop("\n")
    .seed(7)
    .tools([ChatTool::new(ChatFunction::new("now"))]);
    assert_eq!(
        serde_json::to_value(&params).unwrap(),
        json!({
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hello", "name": "Ada"},
            ],
            "temperature": 0.5,
            "stop": "\n",
            "seed": 7,
            "tools": [{"type": "function", "function": {"name": "now"}}],
        })
    );
    let again: ChatCreate = serde_json::from_value(serde_json::to_value(&params).unwrap()).unwrap();
    assert_eq!(again, params);
}

#[test]
fn what_is_not_known_is_kept() {
    let reason: ChatFinishReason = serde_json::from_value(json!("of_tomorrow")).unwrap();
    assert_eq!(reason, ChatFinishReason::Other("of_tomorrow".into()));
    assert_eq!(serde_json::to_value(&reason).unwrap(), "of_tomorrow");
    let event = json!({"type": "of_tomorrow", "x": [1]});
    let read: ChatEvent = serde_json::from_value(event.clone()).unwrap();
    assert!(matches!(read, ChatEvent::Unknown(_)));
    assert_eq!(serde_json::to_value(&read).unwrap(), event);
    let queued: QueuedEvent =
        serde_json::from_value(json!({"position": 1, "added": true})).unwrap();
    assert_eq!(queued.position, 1);
}

#[test]
fn a_known_kind_of_another_shape_is_an_error() {
    for event in [
        json!({"type": "queued", "position": "first"}),
        json!({"type": "queued"}),
        json!({"position": 1}),
        json!(["queued"]),
    ] {
        assert!(serde_json::from_value::<ChatEvent>(event).is_err());
    }
}

#[test]
fn whole_numbers_are_numbers_but_not_the_other_way_round() {
    let timings = json!({"queued_ms": 0, "prefill_ms": 1, "decode_ms": 2.5});
    assert_eq!(
        serde_json::from_value::<Timings>(timings)
            .unwrap()
            .prefill_ms,
        1.0
    );
    assert!(serde_json::from_value::<QueuedEvent>(json!({"position": 1.0})).is_err());
}

#[test]
fn unions_take_what_they_are_made_of() {
    assert_eq!(serde_json::to_value(Prompt::from("a")).unwrap(), "a");
    assert_eq!(
        serde_json::to_value(Prompt::from(vec![1, 2])).unwrap(),
        json!([1, 2])
    );
    let choice = ChatToolChoice::from(ToolChoiceMode::Required);
    assert_eq!(serde_json::to_value(choice).unwrap(), "required");
    let named = NamedToolChoice::new(ChatFunctionName::new("now"));
    let choice = ChatToolChoice::from(ChatToolChoiceObject::from(named));
    let value = json!({"type": "function", "function": {"name": "now"}});
    assert_eq!(serde_json::to_value(&choice).unwrap(), value);
    assert_eq!(
        serde_json::from_value::<ChatToolChoice>(value).unwrap(),
        choice
    );
}

#[test]
fn fields_of_json_keep_their_order() {
    let text = r#"{"type":"object","properties":{"reasoning":{},"answer":{}}}"#;
    let schema: JsonObject = serde_json::from_str(text).unwrap();
    let tool = ChatTool::new(ChatFunction::new("answer").parameters(schema));
    let body = rmp_serde::to_vec_named(&tool).unwrap();
    let read: ChatTool = rmp_serde::from_slice(&body).unwrap();
    let parameters = serde_json::to_string(&read.function.parameters).unwrap();
    assert_eq!(parameters, text);
}

#[test]
fn notifications_can_be_handed_on() {
    let updated = json!({"server": "files", "uri": "file:///x"});
    let known = Notification::McpResourceUpdated(serde_json::from_value(updated.clone()).unwrap());
    let unknown = Notification::Unknown {
        name: "of.tomorrow".into(),
        params: json!([1]),
    };
    assert_eq!(
        serde_json::to_value(known).unwrap(),
        json!({"name": "mcp.resource_updated", "params": updated})
    );
    assert_eq!(
        serde_json::to_value(unknown).unwrap(),
        json!({"name": "of.tomorrow", "params": [1]})
    );
}
