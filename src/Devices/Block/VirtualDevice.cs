using System.Globalization;

namespace Dbt.Devices.Block;

/// <summary>
/// A virtual disk's name and number (docs of Xen, vbd-interface): the number is what the guest sees as <c>virtual-device</c>
/// and as the name of the xenstore directory.
/// </summary>
/// <param name="Name">As the user wrote it: <c>xvda</c>, <c>xvda1</c>, <c>hda</c>, <c>sdb2</c>, <c>d3p1</c>, <c>768</c>.</param>
/// <param name="Number">Encoded number, for instance 51712 for <c>xvda</c>.</param>
public readonly record struct VirtualDevice(string Name, uint Number)
{
    private const uint ExtendedFlag = 1u << 28;

    /// <summary>Parses a virtual device.</summary>
    /// <exception cref="FormatException">Not a virtual device; the message says what would be one.</exception>
    public static VirtualDevice Parse(string text) => TryParse(text, out VirtualDevice device)
        ? device
        : throw new FormatException($"'{text}' is not a virtual disk: use xvda to xvdzz, hda to hdd, sda to sdp (a partition number may follow), or a number");

    /// <summary>Parses a virtual device.</summary>
    public static bool TryParse(string? text, out VirtualDevice device)
    {
        device = default;
        if (string.IsNullOrEmpty(text))
        {
            return false;
        }

        uint? number = char.IsAsciiDigit(text[0]) ? Plain(text)
            : text.StartsWith("xvd", StringComparison.Ordinal) ? Lettered(text, 3, Xen)
            : text.StartsWith("hd", StringComparison.Ordinal) ? Lettered(text, 2, Ide)
            : text.StartsWith("sd", StringComparison.Ordinal) ? Lettered(text, 2, Scsi)
            : text[0] == 'd' ? Numbered(text)
            : null;
        device = new VirtualDevice(text, number ?? 0);
        return number is not null;
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    private static uint? Plain(string text) =>
        text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            ? uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint hex) ? hex : null
            : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out uint value) ? value : null;

    // "d<disk>" or "d<disk>p<partition>"
    private static uint? Numbered(string text)
    {
        int separator = text.IndexOf('p', StringComparison.Ordinal);
        ReadOnlySpan<char> disk = separator < 0 ? text.AsSpan(1) : text.AsSpan(1, separator - 1);
        uint partition = 0;
        if (!uint.TryParse(disk, NumberStyles.None, CultureInfo.InvariantCulture, out uint index)
            || (separator >= 0 && !uint.TryParse(text.AsSpan(separator + 1), NumberStyles.None, CultureInfo.InvariantCulture, out partition)))
        {
            return null;
        }

        return Xen(index, partition);
    }

    // "<prefix><letters>[<partition>]", letters count a..z, aa..
    private static uint? Lettered(string text, int prefix, Func<uint, uint, uint?> encode)
    {
        uint disk = 0;
        int position = prefix;
        for (; position < text.Length && char.IsAsciiLetterLower(text[position]); position++)
        {
            if (position - prefix == 4)
            {
                return null;
            }

            disk = (disk * 26) + (uint)(text[position] - 'a') + 1;
        }

        uint partition = 0;
        bool digits = position < text.Length;
        if (position == prefix || (digits && !uint.TryParse(text.AsSpan(position), NumberStyles.None, CultureInfo.InvariantCulture, out partition)))
        {
            return null;
        }

        return digits && partition == 0 ? null : encode(disk - 1, partition);
    }

    private static uint? Xen(uint disk, uint partition) =>
        disk < 16 && partition < 16 ? (202u << 8) | (disk << 4) | partition
        : disk < 1u << 20 && partition < 256 ? ExtendedFlag | (disk << 8) | partition
        : null;

    private static uint? Ide(uint disk, uint partition) =>
        disk < 4 && partition < 64 ? ((disk < 2 ? 3u : 22u) << 8) | ((disk & 1) << 6) | partition : null;

    private static uint? Scsi(uint disk, uint partition) =>
        disk < 16 && partition < 16 ? (8u << 8) | (disk << 4) | partition : null;
}
