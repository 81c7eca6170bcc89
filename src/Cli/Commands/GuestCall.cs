using System.CommandLine;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Grpc.Core;

namespace Dbt.Cli.Commands;

/// <summary>What commands on running guests have in common.</summary>
internal static class GuestCall
{
    /// <summary>A call that has nothing to tell but that it is done: client, domain, deadline.</summary>
    public delegate AsyncUnaryCall<Done> Call(Domains.DomainsClient client, string domain, DateTime deadline);

    /// <summary>The argument that names a guest.</summary>
    public static Argument<string> DomainArgument() => new("DOMAIN") { Description = "The guest's name or id." };

    /// <summary>A command that takes a guest and nothing else.</summary>
    public static Command OnGuest(string name, string description, Call call)
    {
        Argument<string> domain = DomainArgument();
        var command = new Command(name, description) { domain };
        command.SetAction((result, _) => RunAsync(result.GetValue(domain)!, call));
        return command;
    }

    /// <summary>Makes a call on a guest.</summary>
    /// <returns>The exit status.</returns>
    /// <exception cref="ControlException">There is no such guest, or it was refused.</exception>
    public static async Task<int> RunAsync(string domain, Call call)
    {
        using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), domain).ConfigureAwait(false);
        await client.CallAsync<Done>((stub, id, deadline) => call(stub, id, deadline)).ConfigureAwait(false);
        return ExitStatus.Success;
    }

    /// <summary>The guests named, or all.</summary>
    /// <exception cref="ControlException">There is no guest of a name.</exception>
    public static async Task<IReadOnlyList<ControlClient>> NamedOrAllAsync(string[] names)
    {
        if (names.Length == 0)
        {
            return await ControlClient.AllAsync(ControlFolder.Open(ControlFolder.DefaultPath), Console.Error).ConfigureAwait(false);
        }

        var clients = new List<ControlClient>();
        foreach (string name in names)
        {
            clients.Add(await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), name).ConfigureAwait(false));
        }

        return clients;
    }
}
