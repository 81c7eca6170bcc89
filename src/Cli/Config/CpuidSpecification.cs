using System.Globalization;
using Dbt.Xen.Processor;

namespace Dbt.Cli.Config;

/// <summary>
/// Reads <c>cpuid=</c>: a string <c>"host,NAME=VALUE,..."</c>, or Xend's list of <c>"LEAF[,SUBLEAF]:REGISTER=BITS,..."</c> with 32 bits
/// from the highest down. A bit is 0, 1, or x, k, s: as the processor has it.
/// </summary>
internal static class CpuidSpecification
{
    private const string Unchanged = "xks";

    /// <summary>Reads the key's value.</summary>
    /// <param name="value">A string or a list of strings.</param>
    /// <param name="warn">Told of what can't be claimed, with its place.</param>
    /// <exception cref="ConfigException">The value is malformed, or names what can't be changed.</exception>
    public static IReadOnlyList<CpuidChange> Parse(ConfigValue value, Action<string> warn)
    {
        var changes = new List<CpuidChange>();
        switch (value)
        {
            case ConfigString text:
                ParseNames(text, changes, warn);
                break;
            case ConfigList list:
                foreach (ConfigValue item in list.Items)
                {
                    ParseRegisters(
                        item as ConfigString ?? throw new ConfigException(item.Position, "cpuid: each element must be a string: \"1:ecx=xxxx...,edx=...\""), changes, warn);
                }

                break;
            default:
                throw new ConfigException(value.Position, "cpuid must be a string (\"host,sse3=0\") or a list of strings ([ \"1:ecx=xxxx...\" ])");
        }

        return changes;
    }

    private static void ParseNames(ConfigString text, List<CpuidChange> changes, Action<string> warn)
    {
        int at = Length(text.Text, 0, ",:");
        if (text.Text[..at].Trim() != "host")
        {
            throw new ConfigException(Place(text, 0), "cpuid: the string must begin with host: \"host,sse3=0\"");
        }

        while (at < text.Text.Length)
        {
            int start = at + 1;
            at = start + Length(text.Text, start, ",");
            string item = text.Text[start..at];
            start += item.Length - item.TrimStart().Length;
            ParseName(item.Trim(), Place(text, start), changes, warn);
        }
    }

    private static void ParseName(string item, ConfigPosition place, List<CpuidChange> changes, Action<string> warn)
    {
        int equals = item.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0)
        {
            throw new ConfigException(place, $"cpuid: '{item}' is not NAME=VALUE");
        }

        string name = item[..equals].Trim(), value = item[(equals + 1)..].Trim();
        if (!CpuidFeatures.TryFind(name, out CpuidFeature feature))
        {
            throw new ConfigException(place, $"cpuid: there is no feature named '{name}'");
        }

        if (value.Length == 1 && Unchanged.Contains(value[0], StringComparison.Ordinal))
        {
            return;
        }

        uint most = name == "family" ? 15 + 255 : feature.Mask >> feature.Bit;
        if (!TryNumber(value, out uint number) || number > most)
        {
            throw new ConfigException(place, $"cpuid: {name}={value} is not a number up to {most}, nor x, k or s");
        }

        (uint set, uint mask) = name switch
        {
            // The parts of both are apart: base and extended (SDM vol. 2, CPUID, figure 3-6).
            "family" => (number < 16 ? number << 8 : (15u << 8) | ((number - 15) << 20), 0x0FF00F00u),
            "model" => (((number & 15) << 4) | (number >> 4 << 16), 0x000F00F0u),
            _ => (number << feature.Bit, feature.Mask),
        };
        Add(new CpuidChange(feature.Leaf, feature.Subleaf, feature.Register, set, mask & ~set), $"{name}={value}", place, changes, warn);
    }

    private static void ParseRegisters(ConfigString text, List<CpuidChange> changes, Action<string> warn)
    {
        string all = text.Text;
        int colon = all.IndexOf(':', StringComparison.Ordinal);
        string[] numbers = colon < 0 ? [] : all[..colon].Split(',');
        uint subleaf = 0;
        if (numbers.Length is not (1 or 2) || !TryNumber(numbers[0].Trim(), out uint leaf) || (numbers.Length == 2 && !TryNumber(numbers[1].Trim(), out subleaf)))
        {
            throw new ConfigException(Place(text, 0), $"cpuid: \"{all}\" does not begin with LEAF: or LEAF,SUBLEAF:");
        }

        if (leaf is >= 0x40000000 and <= 0x400000FF)
        {
            throw new ConfigException(Place(text, 0), $"cpuid: leaf 0x{leaf:x} is the hypervisor's own and can't be changed");
        }

        for (int at = colon; at < all.Length;)
        {
            int start = at + 1;
            at = start + Length(all, start, ",");
            string item = all[start..at];
            start += item.Length - item.TrimStart().Length;
            item = item.Trim();
            CpuidRegister? register = (item.Length < 4 ? "" : item[..4]) switch
            {
                "eax=" => CpuidRegister.Eax,
                "ebx=" => CpuidRegister.Ebx,
                "ecx=" => CpuidRegister.Ecx,
                "edx=" => CpuidRegister.Edx,
                _ => null,
            };
            if (register is not CpuidRegister known)
            {
                throw new ConfigException(Place(text, start), $"cpuid: '{item}' does not begin with eax=, ebx=, ecx= or edx=");
            }

            (uint set, uint clear) = Bits(item[4..], Place(text, start + 4));
            var change = new CpuidChange(leaf, numbers.Length == 2 ? subleaf : null, known, set, clear);
            Add(change, item[..3], Place(text, start), changes, warn);
        }
    }

    private static (uint Set, uint Clear) Bits(string bits, ConfigPosition place)
    {
        if (bits.Length != 32)
        {
            throw new ConfigException(place, $"cpuid: a register has 32 bits, not {bits.Length}");
        }

        uint set = 0, clear = 0;
        for (int i = 0; i < 32; i++)
        {
            char c = bits[i];
            set = (set << 1) | (c == '1' ? 1u : 0);
            clear = (clear << 1) | (c == '0' ? 1u : 0);
            if (c is not ('0' or '1') && !Unchanged.Contains(c, StringComparison.Ordinal))
            {
                throw new ConfigException(place with { Column = place.Column + i }, $"cpuid: '{c}' is none of 0, 1, x, k, s");
            }
        }

        return (set, clear);
    }

    private static void Add(in CpuidChange change, string what, ConfigPosition place, List<CpuidChange> changes, Action<string> warn)
    {
        uint unavailable = new CpuidPolicy().Unavailable(change);
        if (unavailable != 0)
        {
            warn($"{place}: cpuid: {what} asks for what this processor does not have (bits {unavailable:x8}), which stays away");
        }

        changes.Add(change);
    }

    // Decimal, hexadecimal with 0x.
    private static bool TryNumber(string text, out uint number) => text.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
        ? uint.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number)
        : uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static int Length(string text, int from, string ends)
    {
        int end = text.AsSpan(from).IndexOfAny(ends);
        return end < 0 ? text.Length - from : end;
    }

    // Behind the opening quote.
    private static ConfigPosition Place(ConfigString text, int index) => text.Position with { Column = text.Position.Column + 1 + index };
}
