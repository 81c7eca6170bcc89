namespace Dbt.Tests.Translator.Oracle;

/// <summary>Makes a failing vector small: fewer instructions, simpler registers, an empty memory.</summary>
/// <param name="fails">Whether a vector over a background still shows a difference.</param>
internal sealed class Shrinker(Func<byte[], TestVector, bool> fails)
{
    private const byte Nop = 0x90;

    /// <summary>The smallest failing vector found, and its background.</summary>
    public (byte[] Background, TestVector Vector) Shrink(byte[] background, TestVector vector)
    {
        bool smaller = true;
        while (smaller)
        {
            smaller = false;
            for (int i = vector.Code.Count - 1; i >= 0 && vector.Code.Count > 1; i--)
            {
                List<byte[]> code = [.. vector.Code];
                code.RemoveAt(i);
                smaller |= Try(background, vector.With(code: code), ref vector);
            }
        }

        // What cannot go because others jump over it may still do nothing.
        for (int i = 0; i < vector.Code.Count; i++)
        {
            if (vector.Code[i][0] != Nop)
            {
                List<byte[]> code = [.. vector.Code];
                code[i] = [.. Enumerable.Repeat(Nop, code[i].Length)];
                Try(background, vector.With(code: code), ref vector);
            }
        }

        for (int i = 0; i < 8; i++)
        {
            foreach (uint value in (uint[])[0, 1])
            {
                uint[] gpr = [.. vector.Gpr];
                gpr[i] = value;
                if (vector.Gpr[i] > value && Try(background, vector.With(gpr: gpr), ref vector))
                {
                    break;
                }
            }
        }

        for (int bit = 0; bit < 22; bit++)
        {
            if (bit is not (1 or 9) && (vector.Eflags >> bit & 1) != 0)
            {
                Try(background, vector.With(eflags: vector.Eflags & ~(1u << bit)), ref vector);
            }
        }

        byte[] empty = [.. background];
        empty.AsSpan(0, OracleLayout.CodeOffset).Clear();
        if (Try(empty, vector, ref vector))
        {
            background = empty;
        }

        return (background, vector);
    }

    private bool Try(byte[] background, TestVector candidate, ref TestVector vector)
    {
        if (FlagTracker.ReadsUndefined(candidate) || !fails(background, candidate))
        {
            return false;
        }

        vector = candidate;
        return true;
    }
}
