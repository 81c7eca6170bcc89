using System.CommandLine;
using System.Security.Cryptography.X509Certificates;
using Dbt.Cli.Control;
using Dbt.Cli.Migration;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt migrate-key</c> and <c>dbt migrate-trust</c>: who this user's daemons are to others, and whom they trust.</summary>
internal static class MigrationKeyCommands
{
    /// <summary>Makes them.</summary>
    public static IEnumerable<Command> Create() => [Key(), Trust()];

    private static Command Key()
    {
        var fingerprint = new Option<bool>("--fingerprint") { Description = "The fingerprint alone, to compare by phone." };
        var command = new Command("migrate-key", "Show the certificate by which other hosts know this user's daemon (dbt migrate-trust there).") { fingerprint };
        command.SetAction(result => Do(() =>
        {
            using X509Certificate2 own = new MigrationIdentity(MigrationIdentity.DefaultFolder).Load();
            if (!result.GetValue(fingerprint))
            {
                Console.Out.WriteLine(own.ExportCertificatePem());
                Console.Error.WriteLine("The fingerprint of this certificate:");
            }

            (result.GetValue(fingerprint) ? Console.Out : Console.Error).WriteLine(MigrationIdentity.Fingerprint(own));
        }));
        return command;
    }

    private static Command Trust()
    {
        var name = new Argument<string?>("NAME") { Arity = ArgumentArity.ZeroOrOne, Description = "A name of your choice for the other side, such as its host's." };
        var file = new Argument<string?>("FILE") { Arity = ArgumentArity.ZeroOrOne, Description = "Its certificate, as dbt migrate-key shows it there; - for standard input." };
        var remove = new Option<bool>("--remove") { Description = "Trust it no longer." };
        var list = new Option<bool>("--list") { Description = "Show who is trusted." };
        var command = new Command("migrate-trust", "Let another user's daemon send guests here, and take guests from here. It can then run any guest with this user's rights.")
        {
            name, file, remove, list,
        };
        command.SetAction(result => Do(() =>
        {
            var peers = new TrustedPeers(MigrationIdentity.DefaultFolder);
            string? who = result.GetValue(name), path = result.GetValue(file);
            if (result.GetValue(list) || who is null)
            {
                foreach ((string peer, X509Certificate2 certificate) in peers.List())
                {
                    Console.Out.WriteLine($"{peer} {MigrationIdentity.Fingerprint(certificate)}");
                }

                return;
            }

            if (result.GetValue(remove))
            {
                peers.Remove(who);
                return;
            }

            string pem = path switch
            {
                null => throw new MigrationException($"which certificate? dbt migrate-trust {who} FILE"),
                "-" => Console.In.ReadToEnd(),
                _ => File.ReadAllText(path),
            };
            Console.Out.WriteLine($"{who} {MigrationIdentity.Fingerprint(peers.Add(who, pem))}");
        }));
        return command;
    }

    private static int Do(Action action)
    {
        try
        {
            action();
            return ExitStatus.Success;
        }
        catch (MigrationException exception)
        {
            throw new ControlException(ControlError.Refused, exception.Message);
        }
    }
}
