using System.CommandLine;
using System.Globalization;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Grpc.Core;
using static Dbt.Cli.Commands.GuestCall;

namespace Dbt.Cli.Commands;

/// <summary>Commands on running guests as such: list, shutdown, pause and their kin, in xl's grammar.</summary>
internal static class DomainCommands
{
    /// <summary>Makes them.</summary>
    public static IEnumerable<Command> Create(GlobalOptions global) =>
    [
        List(global),
        List("vcpu-list", "List the processors of running guests.", DomainListing.VcpuHeader, client => DomainListing.VcpuRows(client.Domain)),
        List("uptime", "Show for how long guests have run.", DomainListing.UptimeHeader, client => [DomainListing.UptimeRow(client.Domain)]),
        Dmesg(),
        List("vm-list", "List running guests by UUID.", DomainListing.UuidHeader, client => [DomainListing.UuidRow(client.Domain)]),
        Statistics(),
        Rename(),
        Identity("domid", "Show the id of a guest.", domain => domain.Id.ToString(CultureInfo.InvariantCulture)),
        Identity("domname", "Show the name of a guest.", domain => domain.Name),
        Shutdown("shutdown", "Ask a guest to shut down.", "poweroff"),
        Shutdown("reboot", "Ask a guest to reboot.", "reboot"),
        OnGuest("destroy", "End a guest at once.", (client, domain, deadline) => client.DestroyAsync(new DomainRequest { Domain = domain }, deadline: deadline)),
        OnGuest("pause", "Hold a guest's processors.", (client, domain, deadline) => client.PauseAsync(new DomainRequest { Domain = domain }, deadline: deadline)),
        Unpause(),
    ];

    private static Command List(GlobalOptions global)
    {
        var domains = new Argument<string[]>("DOMAIN") { Arity = ArgumentArity.ZeroOrMore, Description = "Names or ids; all without." };
        var details = new Option<bool>("-l", "--long") { Description = "Everything, as JSON." };
        var command = new Command("list", "List running guests.") { domains, details };
        command.SetAction(async (result, _) =>
        {
            IReadOnlyList<ControlClient> clients = await NamedOrAllAsync(result.GetValue(domains) ?? []).ConfigureAwait(false);
            if (result.GetValue(details))
            {
                TextReply[] replies = await Task.WhenAll(clients.Select(client =>
                    client.CallAsync((call, domain, deadline) => call.GetConfigurationAsync(new DomainRequest { Domain = domain }, deadline: deadline)))).ConfigureAwait(false);
                Console.Out.WriteLine(DomainJson.Join(replies.Select(reply => reply.Text)));
                return ExitStatus.Success;
            }

            bool verbose = result.GetValue(global.Verbose);
            Console.Out.WriteLine(DomainListing.Header + (verbose ? DomainListing.VerboseHeader : ""));
            foreach (ControlClient client in clients)
            {
                Console.Out.WriteLine(DomainListing.Row(client.Domain) + (verbose ? DomainListing.VerboseRow(client.Domain) : ""));
            }

            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Unpause()
    {
        Argument<string> domain = DomainArgument();
        var force = new Option<bool>("--force") { Description = "Also where a migration could not be decided, because the other host can't be reached: it goes on here. It must not run there as well." };
        var command = new Command("unpause", "Let a paused guest go on.") { domain, force };
        command.SetAction((result, _) => RunAsync(result.GetValue(domain)!, (client, id, deadline) =>
            client.UnpauseAsync(new DomainRequest { Domain = id, Force = result.GetValue(force) }, deadline: deadline)));
        return command;
    }

    private static Command Statistics()
    {
        Argument<string> domain = DomainArgument();
        var command = new Command("stats", "Show a guest's counters as JSON: instructions by tier, translations and what they cost, side exits, hypercalls.") { domain };
        command.SetAction(async (result, _) =>
        {
            using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), result.GetValue(domain)!).ConfigureAwait(false);
            TextReply reply = await client.CallAsync((call, id, deadline) => call.GetStatisticsAsync(new DomainRequest { Domain = id }, deadline: deadline)).ConfigureAwait(false);
            Console.Out.WriteLine(reply.Text);
            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Rename()
    {
        Argument<string> domain = DomainArgument();
        var name = new Argument<string>("NAME") { Description = "Its name from now on." };
        var command = new Command("rename", "Give a guest another name.") { domain, name };
        command.SetAction((result, _) => RunAsync(result.GetValue(domain)!, (client, id, deadline) =>
            client.RenameAsync(new RenameRequest { Domain = id, Name = result.GetValue(name)! }, deadline: deadline)));
        return command;
    }

    private static Command List(string name, string description, string header, Func<ControlClient, IEnumerable<string>> rows)
    {
        var domains = new Argument<string[]>("DOMAIN") { Arity = ArgumentArity.ZeroOrMore, Description = "Names or ids; all without." };
        var command = new Command(name, description) { domains };
        command.SetAction(async (result, _) =>
        {
            IReadOnlyList<ControlClient> clients = await NamedOrAllAsync(result.GetValue(domains) ?? []).ConfigureAwait(false);
            Console.Out.WriteLine(header);
            foreach (string row in clients.SelectMany(rows))
            {
                Console.Out.WriteLine(row);
            }

            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Dmesg()
    {
        var domains = new Argument<string[]>("DOMAIN") { Arity = ArgumentArity.ZeroOrMore, Description = "Names or ids; all without." };
        var command = new Command("dmesg", "Show what the hypervisor has to say of guests, and their emergency consoles.") { domains };
        command.SetAction(async (result, _) =>
        {
            IReadOnlyList<ControlClient> clients = await NamedOrAllAsync(result.GetValue(domains) ?? []).ConfigureAwait(false);
            foreach (ControlClient client in clients)
            {
                LogReply log = await client.CallAsync((call, domain, deadline) => call.GetLogAsync(new DomainRequest { Domain = domain }, deadline: deadline)).ConfigureAwait(false);
                foreach (string line in log.Lines)
                {
                    Console.Out.WriteLine(clients.Count > 1 ? $"{client.Domain.Name}: {line}" : line);
                }
            }

            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Identity(string name, string description, Func<Domain, string> show)
    {
        Argument<string> domain = DomainArgument();
        var command = new Command(name, description) { domain };
        command.SetAction(async (result, _) =>
        {
            using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), result.GetValue(domain)!).ConfigureAwait(false);
            Console.Out.WriteLine(show(client.Domain));
            return ExitStatus.Success;
        });
        return command;
    }

    private static Command Shutdown(string name, string description, string what)
    {
        var all = new Option<bool>("-a", "--all") { Description = "All guests." };
        var wait = new Option<bool>("-w", "--wait") { Description = "Wait until they have ended." };
        var domains = new Argument<string[]>("DOMAIN") { Arity = ArgumentArity.ZeroOrMore, Description = "Names or ids." };
        var command = new Command(name, description) { domains, all };
        if (what == "poweroff")
        {
            command.Add(wait);
        }

        command.SetAction(async (result, _) =>
        {
            string[] names = result.GetValue(domains) ?? [];
            if (names.Length == 0 && !result.GetValue(all))
            {
                throw new ControlException(ControlError.Invalid, $"'dbt {name}' requires a domain, or -a");
            }

            IReadOnlyList<ControlClient> clients = await NamedOrAllAsync(names).ConfigureAwait(false);
            foreach (ControlClient client in clients)
            {
                Console.Out.WriteLine($"{(what == "poweroff" ? "Shutting down" : "Rebooting")} domain {client.Domain.Id}");
                await client.CallAsync((call, domain, deadline) => call.ShutdownAsync(new ShutdownRequest { Domain = domain, What = what }, deadline: deadline)).ConfigureAwait(false);
            }

            if (what == "poweroff" && result.GetValue(wait))
            {
                Console.Error.WriteLine($"Waiting for {clients.Count} domains");
                await Task.WhenAll(clients.Select(client => EndAsync(client))).ConfigureAwait(false);
            }

            return ExitStatus.Success;
        });
        return command;
    }

    private static async Task EndAsync(ControlClient client)
    {
        try
        {
            await client.Calls.WaitAsync(new DomainRequest { Domain = client.Id });
        }
        catch (RpcException)
        {
            // Its process ended, and with it the domain.
        }
    }
}
