using System.Globalization;
using System.Text;
using Dbt.Translator.State;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Diagnostics;

/// <summary>Where a processor that doesn't run at the moment is, and how it got there.</summary>
internal static unsafe class StackTrace
{
    private const int MaxFrames = 24, ScannedWords = 512;

    /// <summary>An address, and the function that it lies in where that is known.</summary>
    public static string Name(Domain domain, uint address) => domain.Symbols?.Value?.Describe(address) is { } symbol
        ? string.Create(CultureInfo.InvariantCulture, $"{address:x8} ({symbol})")
        : address.ToString("x8", CultureInfo.InvariantCulture);

    /// <summary>
    /// Adds return addresses, innermost first: along the chain of EBP, as far as it goes upwards. Where that leads nowhere, as in code
    /// without frame pointers, what on the stack looks like a return address, with a question mark.
    /// </summary>
    public static void Write(StringBuilder text, Vcpu vcpu)
    {
        List<uint> chain = Chain(vcpu);
        SymbolTable? symbols = vcpu.Domain.Symbols?.Value;
        bool known = symbols is null || chain.Exists(address => symbols.Describe(address) is not null);
        if (!known || chain.Count < 2)
        {
            List<uint> found = symbols is null ? [] : Scan(vcpu, symbols);
            if (found.Count > 0)
            {
                text.Append("Called from, perhaps:");
                Write(text, vcpu.Domain, found, "? ");
                return;
            }
        }

        text.Append("Called from:");
        Write(text, vcpu.Domain, chain, "");
    }

    private static void Write(StringBuilder text, Domain domain, List<uint> addresses, string mark)
    {
        bool named = domain.Symbols?.Value is not null;
        foreach (uint address in addresses)
        {
            text.Append(named ? $"\n  {mark}" : " ").Append(Name(domain, address));
        }

        text.AppendLine(addresses.Count == 0 ? " not known" : "");
    }

    private static List<uint> Chain(Vcpu vcpu)
    {
        CpuState* cpu = vcpu.State;
        uint stackBase = cpu->Segments[SegmentIndex.Ss].Base, frame = cpu->Gpr[(int)Gpr.Ebp];
        var addresses = new List<uint>();
        while (addresses.Count < MaxFrames && GuestAccess.TryRead(vcpu, stackBase + frame, out (uint Next, uint Return) link))
        {
            addresses.Add(link.Return);
            if (link.Next <= frame)
            {
                break;
            }

            frame = link.Next;
        }

        return addresses;
    }

    private static List<uint> Scan(Vcpu vcpu, SymbolTable symbols)
    {
        CpuState* cpu = vcpu.State;
        uint at = cpu->Segments[SegmentIndex.Ss].Base + cpu->Gpr[(int)Gpr.Esp];
        var addresses = new List<uint>();
        for (int i = 0; i < ScannedWords && addresses.Count < MaxFrames && GuestAccess.TryRead(vcpu, at, out uint word); i++, at += 4)
        {
            if (symbols.Describe(word) is not null && IsBehindCall(vcpu, word))
            {
                addresses.Add(word);
            }
        }

        return addresses;
    }

    /// <summary>Whether a CALL may end here: E8 with its displacement, or FF /2 in the lengths that it has without and with displacement.</summary>
    private static bool IsBehindCall(Vcpu vcpu, uint address)
    {
        const int Longest = 7;
        const byte CallRelative = 0xE8, Group5 = 0xFF;
        Span<byte> before = stackalloc byte[Longest];
        if (address < Longest || !GuestAccess.TryRead(vcpu, address - Longest, before))
        {
            return false;
        }

        foreach (int length in (ReadOnlySpan<int>)[2, 3, 4, 6, 7])
        {
            if (before[^length] == Group5 && ((before[^(length - 1)] >> 3) & 7) == 2)
            {
                return true;
            }
        }

        return before[^5] == CallRelative;
    }
}
