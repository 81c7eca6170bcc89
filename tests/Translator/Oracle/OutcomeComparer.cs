using System.Text;
using Dbt.Translator.State;
using static Dbt.Tests.Translator.Oracle.OracleLayout;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>Says in what two outcomes of a vector differ.</summary>
internal static class OutcomeComparer
{
    // RF is the processor's own business on the way to a handler; IF, IOPL, VM are Linux's.
    private const uint Compared = Flags.Status | Flags.Df | Flags.Tf | Flags.Nt | Flags.Ac | Flags.Id;

    private static readonly string[] Names = ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi"];
    private static readonly string[] SelectorNames = ["gs", "fs", "es", "ds", "cs", "ss"];

    /// <summary>Null where the outcomes agree; else a line for each difference, its field first.</summary>
    /// <param name="vector">What was run.</param>
    /// <param name="native">The host's outcome.</param>
    /// <param name="guest">The engine's outcome.</param>
    /// <param name="fx">Whether x87, MMX and SSE state counts.</param>
    public static string? Compare(TestVector vector, Outcome native, Outcome guest, bool fx)
    {
        uint mask = Compared & ~FlagTracker.UndefinedAt(vector, native.Eip);

        // A virtualised host may report the address of an INT1 itself (code that overwrites itself can become one).
        bool sameEip = native.Eip == guest.Eip || (native.Vector == 1 && guest.Vector == 1 && guest.Eip - native.Eip <= 2);
        bool same = native.Vector == guest.Vector && sameEip && native.Error == guest.Error
            && (native.Vector != 14 || native.Cr2 == guest.Cr2) && ((native.Eflags ^ guest.Eflags) & mask) == 0
            && native.Gpr.AsSpan().SequenceEqual(guest.Gpr) && native.Selectors.AsSpan().SequenceEqual(guest.Selectors)
            && SameMemory(native.Memory, guest.Memory)
            && (!fx || FxComparer.Compare(native.Fx, guest.Fx) is null);
        if (same)
        {
            return null;
        }

        var text = new StringBuilder();
        Line(text, "vector", native.Vector, guest.Vector);
        Line(text, "eip", native.Eip, guest.Eip);
        if (native.Vector == guest.Vector)
        {
            Line(text, "error", native.Error, guest.Error);
            if (native.Vector == 14)
            {
                Line(text, "cr2", native.Cr2, guest.Cr2);
            }
        }

        Line(text, "eflags", native.Eflags & mask, guest.Eflags & mask);
        for (int i = 0; i < 8; i++)
        {
            Line(text, Names[i], native.Gpr[i], guest.Gpr[i]);
        }

        for (int i = 0; i < 6; i++)
        {
            Line(text, SelectorNames[i], native.Selectors[i], guest.Selectors[i]);
        }

        Memory(text, native.Memory, guest.Memory);
        if (fx && FxComparer.Compare(native.Fx, guest.Fx) is { } difference)
        {
            text.Append(difference);
        }

        return text.ToString();
    }

    // FXSAVE's mask of MXCSR: AMD's has a bit more, which no CPUID of ours announces.
    private static bool SameMemory((int Offset, uint Value)[] native, (int Offset, uint Value)[] guest)
    {
        if (native.AsSpan().SequenceEqual(guest))
        {
            return true;
        }

        return native.Any(d => d.Value == 0x2FFFF)
            && native.Where(d => d.Value is not (0xFFFF or 0x2FFFF)).SequenceEqual(guest.Where(d => d.Value is not (0xFFFF or 0x2FFFF)));
    }

    private static void Line(StringBuilder text, string name, uint native, uint guest)
    {
        if (native != guest)
        {
            text.AppendLine($"{name}: native {native:x8}, guest {guest:x8}");
        }
    }

    private static void Memory(StringBuilder text, (int Offset, uint Value)[] native, (int Offset, uint Value)[] guest)
    {
        var first = native.DistinctBy(d => d.Offset).ToDictionary(d => d.Offset, d => d.Value);
        var second = guest.ToDictionary(d => d.Offset, d => d.Value);
        foreach (int offset in first.Keys.Union(second.Keys).Where(o => (uint)o < LiveBytes).Order()
            .Where(o => !first.TryGetValue(o, out uint a) || !second.TryGetValue(o, out uint b) || a != b).Take(8))
        {
            string a = first.TryGetValue(offset, out uint value) ? value.ToString("x8") : "unchanged";
            string b = second.TryGetValue(offset, out value) ? value.ToString("x8") : "unchanged";
            text.AppendLine($"memory[{Pages[offset >> 12].Linear + (uint)(offset & 0xFFF):x8}]: native {a}, guest {b}");
        }
    }
}
