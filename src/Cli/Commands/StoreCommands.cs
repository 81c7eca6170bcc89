using System.CommandLine;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Dbt.Cli.Terminal;
using Google.Protobuf;

namespace Dbt.Cli.Commands;

/// <summary>xenstore's commands, in the grammar and with the output of Xen's own.</summary>
internal static class StoreCommands
{
    private const int MostPermissions = 16;

    private delegate Task<int> Work(StoreClient store, ParseResult result);

    /// <summary>Makes them.</summary>
    public static IEnumerable<Command> Create() => [Ls(), Read(), Write(), List(), Remove(), Exists(), SetPermissions(), Watch()];

    private static Command Ls()
    {
        var full = new Option<bool>("-f", "--flat") { Description = "Whole paths." };
        var permissions = new Option<bool>("-p", "--prefix") { Description = "Permissions too, the owner's first: (r|w|b|n)DOMID." };
        var paths = new Argument<string[]>("PATH") { Arity = ArgumentArity.ZeroOrMore, Description = "Nodes; / without." };
        return Make("xenstore-ls", "Show nodes of the xenstore with all below them.", [full, permissions], [paths], async (store, result) =>
        {
            string[] roots = result.GetValue(paths) is { Length: > 0 } given ? given : ["/"];
            int width = TerminalSize.OfStandardOutput() is { } size && !Console.IsOutputRedirected ? size.Columns - StoreListing.Margin : StoreListing.DefaultWidth;
            foreach (string root in roots)
            {
                try
                {
                    StoreListing? listing = null;
                    await foreach (StoreNode node in store.Tree(root).ConfigureAwait(false))
                    {
                        // The first is the one that was asked for, which is not shown itself.
                        if (listing is null)
                        {
                            listing = new StoreListing(node.Path, result.GetValue(full), result.GetValue(permissions), width);
                            continue;
                        }

                        Console.Out.WriteLine(listing.Line(node));
                    }
                }
                catch (ControlException exception) when (exception.Error is ControlError.NotFound or ControlError.Invalid)
                {
                    Console.Error.WriteLine($"xenstore-ls: xs_directory ({root}): {(exception.Error == ControlError.NotFound ? "No such file or directory" : "Invalid argument")}");
                    return ExitStatus.Failure;
                }
            }

            return ExitStatus.Success;
        });
    }

    private static Command Read()
    {
        var prefix = new Option<bool>("-p", "--prefix") { Description = "Each value behind its key." };
        Argument<string[]> keys = Keys();
        return Make("xenstore-read", "Show values of the xenstore.", [prefix], [keys], async (store, result) =>
        {
            string[] all = result.GetValue(keys)!;
            StoreReply reply = await store.TransactAsync(all.Select(key => new StoreOperation { Path = key, Read = new StoreRead() })).ConfigureAwait(false);
            for (int i = 0; i < reply.Results.Count; i++)
            {
                Console.Out.WriteLine((result.GetValue(prefix) ? all[i] + ": " : "") + StoreText.Escape(reply.Results[i].Value.Span));
            }

            return Status(reply, () => $"xenstore-read: couldn't read path {all[reply.Results.Count]}");
        });
    }

    private static Command Write()
    {
        var pairs = new Argument<string[]>("KEY VALUE") { Arity = ArgumentArity.OneOrMore, Description = "Keys, each with its value, which may have \\t, \\n, \\xHH and the like in it." };
        pairs.Validators.Add(result =>
        {
            if (result.Tokens.Count % 2 != 0)
            {
                result.AddError("Usage: xenstore-write key value [...]");
            }
        });
        return Make("xenstore-write", "Write values to the xenstore, all or none.", [], [pairs], async (store, result) =>
        {
            string[][] all = [.. result.GetValue(pairs)!.Chunk(2)];
            StoreReply reply = await store.TransactAsync(all.Select(pair => new StoreOperation
            {
                Path = pair[0],
                Write = new StoreWrite { Value = ByteString.CopyFrom(StoreText.Unescape(pair[1])) },
            })).ConfigureAwait(false);
            return Status(reply, () => $"xenstore-write: could not write path {all[reply.Results.Count][0]}");
        });
    }

    private static Command List()
    {
        var prefix = new Option<bool>("-p", "--prefix") { Description = "Each name behind its key." };
        Argument<string[]> keys = Keys();
        return Make("xenstore-list", "List the children of nodes of the xenstore.", [prefix], [keys], async (store, result) =>
        {
            string[] all = result.GetValue(keys)!;
            StoreReply reply = await store.TransactAsync(all.Select(key => new StoreOperation { Path = key, List = new StoreList() })).ConfigureAwait(false);
            for (int i = 0; i < reply.Results.Count; i++)
            {
                foreach (string name in reply.Results[i].Names)
                {
                    Console.Out.WriteLine((result.GetValue(prefix) ? all[i] + "/" : "") + name);
                }
            }

            return Status(reply, () => $"xenstore-list: could not list path {all[reply.Results.Count]}");
        });
    }

    private static Command Remove()
    {
        var tidy = new Option<bool>("-t", "--tidy") { Description = "Also what is above it, as long as that has neither a value nor children." };
        Argument<string[]> keys = Keys();
        return Make("xenstore-rm", "Remove nodes of the xenstore with all below them, all or none.", [tidy], [keys], async (store, result) =>
        {
            string[] all = result.GetValue(keys)!;
            StoreReply reply = await store.TransactAsync(
                all.Select(key => new StoreOperation { Path = key, Remove = new StoreRemove { Tidy = result.GetValue(tidy) } })).ConfigureAwait(false);
            return Status(reply, () => $"xenstore-rm: could not remove path {all[reply.Results.Count]}");
        });
    }

    private static Command Exists()
    {
        Argument<string[]> keys = Keys();
        return Make("xenstore-exists", "End with status 0 if all these nodes of the xenstore are there, else 1.", [], [keys], async (store, result) =>
        {
            StoreReply reply = await store.TransactAsync(
                result.GetValue(keys)!.Select(key => new StoreOperation { Path = key, Read = new StoreRead() })).ConfigureAwait(false);
            return reply.Error.Length == 0 ? ExitStatus.Success : ExitStatus.Failure;
        });
    }

    private static Command SetPermissions()
    {
        var above = new Option<bool>("-u", "--upto") { Description = "Of all nodes above it too." };
        var below = new Option<bool>("-r", "--recurse") { Description = "Of all nodes below it too." };
        var key = new Argument<string>("KEY") { Description = "A node." };
        var modes = new Argument<string[]>("MODE") { Arity = ArgumentArity.OneOrMore, Description = "n, r, w or b and a domain's id; the first is the owner's, with what all others have." };
        modes.Validators.Add(result =>
        {
            foreach (string mode in result.Tokens.Select(static token => token.Value))
            {
                if (!"nrwb".Contains(mode.FirstOrDefault(' '), StringComparison.Ordinal))
                {
                    result.AddError($"Invalid permission specification: '{mode.FirstOrDefault(' ')}'");
                }
                else if (!Dbt.Devices.Store.StorePermission.TryParse(mode, out _))
                {
                    result.AddError($"Invalid permission specification: '{mode}': a letter and a domain's id are expected");
                }
            }

            if (result.Tokens.Count > MostPermissions)
            {
                result.AddError($"Too many permissions specified.  Maximum per invocation is {MostPermissions}.");
            }
        });
        return Make("xenstore-chmod", "Set the permissions of a node of the xenstore.", [above, below], [key, modes], async (store, result) =>
        {
            string path = result.GetValue(key)!;
            var change = new StoreSetPermissions { Above = result.GetValue(above), Below = result.GetValue(below), Permissions = { result.GetValue(modes) } };
            StoreReply reply = await store.TransactAsync([new StoreOperation { Path = path, SetPermissions = change }]).ConfigureAwait(false);
            return Status(reply, () => $"xenstore-chmod: Error occurred setting permissions on '{path}': {(reply.Error == "ENOENT" ? "No such file or directory" : reply.Error)}");
        });
    }

    private static Command Watch()
    {
        var number = new Option<int?>("-n", "--number") { Description = "End after so many; each node is told of once at the beginning.", HelpName = "NR" };
        Argument<string[]> keys = Keys();
        return Make("xenstore-watch", "Show what changes at or below nodes of the xenstore, or @introduceDomain and @releaseDomain, until interrupted.", [number], [keys], async (store, result) =>
        {
            int left = result.GetValue(number) ?? -1;
            if (left == 0)
            {
                return ExitStatus.Success;
            }

            await foreach (string path in store.Watch(result.GetValue(keys)!).ConfigureAwait(false))
            {
                Console.Out.WriteLine(path);
                await Console.Out.FlushAsync().ConfigureAwait(false);
                if (left > 0 && --left == 0)
                {
                    return ExitStatus.Success;
                }
            }

            return ExitStatus.Failure;
        });
    }

    private static Argument<string[]> Keys() => new("KEY") { Arity = ArgumentArity.OneOrMore, Description = "Nodes: a path from /, or below /local/domain/0." };

    private static Command Make(string name, string description, Option[] options, Argument[] arguments, Work work)
    {
        var of = new Option<string?>("--of") { Description = "The xenstore of the process that holds this guest; without, the daemon's.", HelpName = "DOMAIN" };
        var socket = new Option<bool>("-s", "--socket") { Description = "Accepted; there is no other way to the xenstore." };
        var command = new Command(name, description) { of, socket };
        foreach (Option option in options)
        {
            command.Add(option);
        }

        foreach (Argument argument in arguments)
        {
            command.Add(argument);
        }

        command.SetAction(async (result, _) =>
        {
            using StoreClient store = result.GetValue(of) is { } domain ? await StoreClient.FindAsync(domain).ConfigureAwait(false) : StoreClient.Find();
            return await work(store, result).ConfigureAwait(false);
        });
        return command;
    }

    private static int Status(StoreReply reply, Func<string> message)
    {
        if (reply.Error.Length == 0)
        {
            return ExitStatus.Success;
        }

        Console.Error.WriteLine(message());
        return ExitStatus.Failure;
    }
}
