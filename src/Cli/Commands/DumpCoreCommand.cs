using System.CommandLine;
using Dbt.Cli.Api;
using Dbt.Cli.Control;
using Dbt.Cli.Running;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt dump-core</c>, in xl's grammar, with the options that xm had.</summary>
internal static class DumpCoreCommand
{
    /// <summary>Makes it.</summary>
    public static Command Create()
    {
        Argument<string> domain = GuestCall.DomainArgument();
        var file = new Argument<string?>("FILE") { Arity = ArgumentArity.ZeroOrOne, Description = "The file to be written; without it one of the guest's name and the time, in ~/.local/share/dbt/dump." };
        var live = new Option<bool>("-L", "--live") { Description = "Let the guest run meanwhile: its pages are of different moments then." };
        var crash = new Option<bool>("-C", "--crash") { Description = "Crash the guest afterwards; on_crash says what follows." };
        var reset = new Option<bool>("-R", "--reset") { Description = "Reboot the guest afterwards, without asking it; on_reboot says what follows." };
        var command = new Command("dump-core", "Write a guest's memory and registers to a file, as an ELF core in Xen's format. The guest is held meanwhile, and goes on.") { domain, file, live, crash, reset };
        command.Validators.Add(result =>
        {
            if (result.GetValue(crash) && result.GetValue(reset))
            {
                result.AddError("--crash and --reset exclude each other");
            }
        });
        command.SetAction(async (result, cancellation) =>
        {
            using ControlClient client = await ControlClient.FindAsync(ControlFolder.Open(ControlFolder.DefaultPath), result.GetValue(domain)!).ConfigureAwait(false);
            string path = result.GetValue(file) is string given ? Path.GetFullPath(given) : CoreFile.NewPath(client.Domain.Name);
            Console.Out.WriteLine($"Dumping core of {client.Domain.Name} to {path}");
            var request = new DumpCoreRequest
            {
                Domain = client.Id,
                Path = path,
                Live = result.GetValue(live),
                Then = result.GetValue(crash) ? DumpCoreRequest.Types.Then.Crash : result.GetValue(reset) ? DumpCoreRequest.Types.Then.Reset : DumpCoreRequest.Types.Then.Nothing,
            };
            return await SnapshotCommands.FollowAsync(token => client.Calls.DumpCore(request, cancellationToken: token), client.Domain.Name, "dumped").ConfigureAwait(false) is null
                ? ExitStatus.Failure
                : ExitStatus.Success;
        });
        return command;
    }
}
