using System.Text;

namespace Dbt.Tests.Translator.Oracle;

/// <summary>
/// Compares x87, MMX and SSE state in FXSAVE's layout (SDM vol. 1, 10.5.1). The last instruction's pointers are left out:
/// processors differ in when they store them.
/// </summary>
internal static class FxComparer
{
    /// <summary>Null where the states agree; else a line for each difference.</summary>
    public static string? Compare(ReadOnlySpan<byte> native, ReadOnlySpan<byte> guest)
    {
        StringBuilder? text = null;
        Part(native, guest, 0, 2, "fcw", ref text);
        Part(native, guest, 2, 2, "fsw", ref text);
        Part(native, guest, 4, 1, "ftw", ref text);

        // Where an unmasked overflow or underflow was raised, whether the result was also inexact is a matter of an exponent without
        // bounds, which the guest's side does not have.
        bool unbounded = (native[24] & guest[24] & ((~native[25] & 0xC) << 1)) != 0;
        Part(native, guest, unbounded ? 25 : 24, unbounded ? 3 : 4, "mxcsr", ref text);
        for (int i = 0; i < 8; i++)
        {
            Part(native, guest, 32 + (16 * i), 10, "st" + i, ref text);
        }

        for (int i = 0; i < 8; i++)
        {
            Part(native, guest, 160 + (16 * i), 16, "xmm" + i, ref text);
        }

        return text?.ToString();
    }

    private static void Part(ReadOnlySpan<byte> native, ReadOnlySpan<byte> guest, int offset, int length, string name, ref StringBuilder? text)
    {
        ReadOnlySpan<byte> a = native.Slice(offset, length), b = guest.Slice(offset, length);
        if (!a.SequenceEqual(b))
        {
            byte[] first = a.ToArray(), second = b.ToArray();
            Array.Reverse(first);
            Array.Reverse(second);
            text ??= new StringBuilder();
            text.AppendLine($"{name}: native {Convert.ToHexString(first)}, guest {Convert.ToHexString(second)}");
        }
    }
}
