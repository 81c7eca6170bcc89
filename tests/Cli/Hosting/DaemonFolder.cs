using System.Diagnostics;
using System.Text;
using Dbt.Cli.Hosting;

namespace Dbt.Tests.Cli.Hosting;

/// <summary>A daemon of the test's own, with all that belongs to it in one folder. It ends with the test.</summary>
public sealed class DaemonFolder : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    /// <summary>The folder: configurations, sockets, the log.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("dbt-daemon").FullName;

    /// <summary>The daemon's socket.</summary>
    public string Socket => System.IO.Path.Combine(Path, "dbt", "dbtd.sock");

    /// <summary>What it holds locked.</summary>
    public string Lock => System.IO.Path.Combine(Path, "dbt", "dbtd.lock");

    /// <summary>Its log so far.</summary>
    public string Log => File.Exists(System.IO.Path.Combine(Path, "dbt", "dbtd.log")) ? ReadShared(System.IO.Path.Combine(Path, "dbt", "dbtd.log")) : "";

    /// <summary>Runs a command to its end.</summary>
    public (int Status, string Output, string Errors) Run(params string[] words) => CommandProcess.Run(Path, Path, "", words);

    /// <summary>Runs a command that must succeed and say nothing on standard error.</summary>
    /// <returns>Its output.</returns>
    public string Do(params string[] words)
    {
        (int status, string output, string errors) = Run(words);
        Assert.True((status, errors) == (0, ""), $"dbt {string.Join(' ', words)}: {status} {errors}");
        return output;
    }

    /// <summary>Runs a command that must fail.</summary>
    /// <returns>What it said.</returns>
    public string Refused(params string[] words)
    {
        (int status, string output, string errors) = Run(words);
        Assert.True(status is 1 or 2, $"dbt {string.Join(' ', words)}: {status} {output} {errors}");
        return errors;
    }

    /// <summary>Starts a command that goes on, with its input and output.</summary>
    public RunningCommand Start(params string[] words) => new(CommandProcess.Start(Path, Path, words));

    /// <summary>Names, and the letters of their states, of what is listed.</summary>
    public List<(string Name, string State)> List() =>
        [.. Do("list").TrimEnd().Split('\n').Skip(1).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(words => (words[0], words[4]))];

    /// <summary>Waits until something is so.</summary>
    public static void Await(Func<bool> condition, Func<string> otherwise) => Assert.True(SpinWait.SpinUntil(condition, Limit), otherwise());

    /// <summary>Waits until no daemon runs here.</summary>
    public void AwaitEnd() => Await(
        () =>
        {
            using DaemonLock? free = DaemonLock.TryTake(Lock);
            return free is not null;
        },
        () => $"the daemon did not end:\n{Log}");

    /// <inheritdoc/>
    public void Dispose()
    {
        _ = Run("daemon", "stop", "--force");
        Directory.Delete(Path, recursive: true);
    }

    private static string ReadShared(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }

    /// <summary>A command that is typed to while it runs.</summary>
    public sealed class RunningCommand : IDisposable
    {
        private readonly Process _process;
        private readonly StringBuilder _output = new();

        internal RunningCommand(Process process)
        {
            _process = process;
            foreach (StreamReader reader in (StreamReader[])[process.StandardOutput, process.StandardError])
            {
                new Thread(() => Read(reader)) { IsBackground = true }.Start();
            }
        }

        /// <summary>What it wrote so far.</summary>
        public string Text
        {
            get
            {
                lock (_output)
                {
                    return _output.ToString();
                }
            }
        }

        /// <summary>Types.</summary>
        public void Type(string keys)
        {
            _process.StandardInput.Write(keys);
            _process.StandardInput.Flush();
        }

        /// <summary>Waits until it has written a text, so many times.</summary>
        public void Await(string text, int times = 1) =>
            DaemonFolder.Await(() => Text.Split(text).Length > times, () => $"'{text}' did not come {times} times, but:\n{Text}");

        /// <summary>Waits for its end.</summary>
        public int End()
        {
            Assert.True(_process.WaitForExit(Limit), Text);
            return _process.ExitCode;
        }

        /// <inheritdoc/>
        public void Dispose()
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            _process.Dispose();
        }

        private void Read(StreamReader reader)
        {
            char[] buffer = new char[4096];
            while (reader.Read(buffer) is > 0 and int count)
            {
                lock (_output)
                {
                    _output.Append(buffer, 0, count);
                }
            }
        }
    }
}
