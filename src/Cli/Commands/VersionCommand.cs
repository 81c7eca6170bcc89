using System.CommandLine;
using System.Reflection;

namespace Dbt.Cli.Commands;

/// <summary><c>dbt version</c>.</summary>
internal static class VersionCommand
{
    /// <summary>This build's version.</summary>
    public static string Version { get; } =
        typeof(VersionCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "unknown";

    /// <summary>Makes the command.</summary>
    public static Command Create()
    {
        var command = new Command("version", "Print the version.");
        command.SetAction(_ =>
        {
            Console.Out.WriteLine($"dbt {Version}");
            return ExitStatus.Success;
        });
        return command;
    }
}
