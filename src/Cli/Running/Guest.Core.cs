using System.Globalization;
using Dbt.Runtime;
using Dbt.Xen;

namespace Dbt.Cli.Running;

/// <content>Its core, where its configuration asks for one when it stops.</content>
internal sealed partial class Guest
{
    private string? _lastCore;

    /// <summary>Writes the core of a domain that has stopped. What goes wrong is told, and the guest goes on as it is configured; who ends the guest ends this too.</summary>
    private async Task DumpAsync(GuestLife life)
    {
        life.Stop();
        using var ended = new CancellationTokenSource();
        try
        {
            string path = CoreFile.FindRoom(Name);
            _errors.WriteLine($"dbt: {Name}: its core is written to {path}");
            Task dump = Task.Run(() => CoreFile.Write(path, life.Domain, runs: false, static (_, _) => { }, ended.Token));
            if (await Task.WhenAny(dump, _leave.Task).ConfigureAwait(false) != dump)
            {
                await ended.CancelAsync().ConfigureAwait(false);
            }

            await dump.ConfigureAwait(false);
            _lastCore = path;
            _errors.WriteLine(string.Create(CultureInfo.InvariantCulture, $"dbt: {Name}: its core is whole, {new FileInfo(path).Length >> 20} MiB"));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or HostException)
        {
            _errors.WriteLine($"dbt: {Name}: its core can't be written: {exception.Message}");
        }
        catch (OperationCanceledException)
        {
            _errors.WriteLine($"dbt: {Name}: it was ended before its core was whole, so there is none");
        }
    }

    /// <summary>Tells in the log of the domain that follows.</summary>
    private void TellCore(Domain next)
    {
        if (_lastCore is string path)
        {
            next.Log.Add($"it was started again; the core of what it was before is {path}");
            _lastCore = null;
        }
    }
}
