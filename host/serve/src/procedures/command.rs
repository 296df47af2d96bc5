//! The one procedure of our own program: a command as a user types it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use hostler_rpc::codes;
use hostler_rpc::error::RpcError;
use hostler_rpc::own::{COMMAND_DESCRIPTORS, CommandRun, CommandRunAnswer};
use tokio::runtime::Handle;

use crate::client::{Client, internal};
use crate::command::{Command, SentLine};
use crate::dispatch::{Incoming, Work};

pub(super) fn route(incoming: Incoming<'_>) -> Option<Work<'_>> {
    let descriptors = incoming.take_descriptors();
    (incoming.number() == CommandRun::NUMBER)
        .then(|| incoming.answer::<CommandRun, _, _>(move |client, call| run(client, call, descriptors)))
}

async fn run(
    client: Arc<Client>,
    call: CommandRun,
    descriptors: Vec<OwnedFd>,
) -> Result<CommandRunAnswer, RpcError> {
    // A command reads and writes files by their names, with all the rights of this process.
    let own = rustix::process::geteuid().as_raw();
    let is_ours =
        client.peer.is_owner && client.peer.identity.uid == Some(own) && client.rights().is_everything();
    if !is_ours {
        let detail = "commands are taken from the user alone whom this daemon runs as";
        return Err(RpcError::new(codes::ERR_ACCESS_DENIED, codes::FROM_RPC, detail));
    }
    let files: [OwnedFd; COMMAND_DESCRIPTORS] = descriptors
        .try_into()
        .map_err(|_| RpcError::protocol(format!("a command comes with {COMMAND_DESCRIPTORS} descriptors")))?;
    let [input, output, errors] = files.map(File::from);
    let environment =
        call.environment.0.into_iter().map(|variable| (variable.name, variable.value)).collect();
    let line = SentLine { words: call.words.0, environment, said: call.said.0, input, output, errors };
    let program = Arc::clone(&client.server.shared.program);
    let command = Command { runtime: Handle::current(), client };
    let ended = tokio::task::spawn_blocking(move || program.run(line, command)).await;
    ended.map(|status| CommandRunAnswer { status }).map_err(|_| internal("the command broke down"))
}
