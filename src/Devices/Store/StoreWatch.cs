using System.Text;

namespace Dbt.Devices.Store;

/// <summary>A watch: somebody wants to hear of changes at or below a path.</summary>
internal abstract class StoreWatch(string path, ushort domain)
{
    /// <summary>Absolute path, or a special name that starts with '@'.</summary>
    public string Path { get; } = path;

    /// <summary>Who watches.</summary>
    public ushort Domain { get; } = domain;

    /// <summary>Whether a change concerns this watch and may be told to its owner.</summary>
    public bool Matches(StoreChange change)
    {
        if (change.Path[0] == '@')
        {
            return Domain == 0 && change.Path == Path;
        }

        return (change.Exact ? change.Path == Path : StorePath.IsAtOrBelow(change.Path, Path)) && change.IsVisibleTo(Domain);
    }

    /// <summary>Tells the owner, or gives what has to be called outside the store's lock.</summary>
    public abstract Action? Fire(string changedPath);
}

/// <summary>A guest's watch.</summary>
internal sealed class GuestWatch(string path, StoreNames names, string token, bool relative, StoreOutbox outbox) : StoreWatch(path, names.Real)
{
    /// <summary>The guest's own name for the watch.</summary>
    public string Token { get; } = token;

    /// <summary>Whether it was set by a relative path.</summary>
    public bool IsRelative => relative;

    /// <inheritdoc/>
    public override Action? Fire(string changedPath)
    {
        // A watch that was set by a relative path speaks in relative paths.
        string told = relative ? changedPath[(StorePath.Home(Domain).Length + 1)..] : names.ToGuest(changedPath);
        var payload = new byte[told.Length + Token.Length + 2];
        if (payload.Length <= StoreLimits.Payload)
        {
            Encoding.Latin1.GetBytes(told, payload);
            Encoding.Latin1.GetBytes(Token, payload.AsSpan(told.Length + 1));
            outbox.AddEvent(told, Token, new StoreHeader(StoreMessageType.WatchEvent, 0, 0, 0).With(payload));
        }

        return null;
    }
}

/// <summary>A watch of this process, as domain 0.</summary>
internal sealed class LocalWatch(string path, Action<string> callback) : StoreWatch(path, 0)
{
    /// <inheritdoc/>
    public override Action? Fire(string changedPath) => () => callback(changedPath);
}
