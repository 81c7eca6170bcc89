using System.Globalization;
using System.Text;

namespace Dbt.Devices.Store;

/// <summary>
/// Names of nodes for a guest that takes itself for another domain: one that came from elsewhere, where it had an id that somebody has here. In what it
/// asks for its own id is replaced by the real one, in what it gets the other way: in paths, in values that are paths, in permissions.
/// </summary>
/// <param name="real">The domain's id.</param>
/// <param name="believed">The id by which the guest knows itself.</param>
internal sealed class StoreNames(ushort real, ushort believed)
{
    private const string Backends = "/local/domain/0/backend/", BackendErrors = "/local/domain/0/error/backend/";

    /// <summary>The domain's id.</summary>
    public ushort Real => real;

    /// <summary>The id by which the guest knows itself.</summary>
    public ushort Believed => believed;

    /// <summary>A path as the store has it.</summary>
    public string ToStore(string path) => real == believed ? path : Replace(path, believed, real);

    /// <summary>A path as the guest has it.</summary>
    public string ToGuest(string path) => real == believed ? path : Replace(path, real, believed);

    /// <summary>A domain id as the store has it.</summary>
    public ushort ToStore(ushort id) => id == believed ? real : id;

    /// <summary>A domain id as the guest has it.</summary>
    public ushort ToGuest(ushort id) => id == real ? believed : id;

    /// <summary>A value as the guest has it.</summary>
    public byte[] ToGuest(byte[] value) =>
        real == believed || !value.AsSpan().StartsWith("/local/domain/"u8) ? value : Encoding.Latin1.GetBytes(ToGuest(Encoding.Latin1.GetString(value)));

    /// <summary>Replaces a domain's id where a path is one of its home or of its back ends.</summary>
    public static string Replace(string path, ushort from, ushort to)
    {
        string home = StorePath.Home(from);
        if (StorePath.IsAtOrBelow(path, home))
        {
            return StorePath.Home(to) + path[home.Length..];
        }

        foreach (string prefix in (ReadOnlySpan<string>)[Backends, BackendErrors])
        {
            int type = path.StartsWith(prefix, StringComparison.Ordinal) ? path.IndexOf('/', prefix.Length) : -1;
            string id = from.ToString(CultureInfo.InvariantCulture);
            if (type >= 0 && StorePath.IsAtOrBelow(path[type..], "/" + id))
            {
                return string.Create(CultureInfo.InvariantCulture, $"{path[..(type + 1)]}{to}{path[(type + 1 + id.Length)..]}");
            }
        }

        return path;
    }
}
