using System.Diagnostics;

namespace Dbt.Tests.Cli;

/// <summary>The command as a process of its own, whose guests and daemon are found in a folder of the test's.</summary>
internal static partial class CommandProcess
{
    private const int Limit = 240_000;

    /// <summary>Runs it to its end.</summary>
    /// <param name="folder">Where it stands.</param>
    /// <param name="runtime">Where sockets and logs go.</param>
    /// <param name="input">What is on its standard input.</param>
    /// <param name="words">Its words.</param>
    public static (int Status, string Output, string Errors) Run(string folder, string runtime, string input, string[] words)
    {
        using Process process = Start(folder, runtime, words);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), errors = process.StandardError.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        Assert.True(process.WaitForExit(Limit), string.Join(' ', words));
        return (process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>Starts it.</summary>
    public static Process Start(string folder, string runtime, string[] words)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(Dbt.Cli.CommandLine).Assembly.Location, .. words])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        start.Environment["XDG_RUNTIME_DIR"] = runtime;
        start.Environment["XDG_STATE_HOME"] = runtime;
        start.Environment["XDG_CACHE_HOME"] = runtime;
        start.Environment["XDG_DATA_HOME"] = runtime;
        start.Environment["XDG_CONFIG_HOME"] = runtime;
        return Process.Start(start)!;
    }

    /// <summary>Sends a process a signal.</summary>
    [System.Runtime.InteropServices.LibraryImport("libc", EntryPoint = "kill")]
    public static partial int Signal(int process, int signal);
}
