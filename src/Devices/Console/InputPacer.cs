namespace Dbt.Devices.Console;

/// <summary>
/// Decides when the next line of input that nobody types (a pipe, a file) may go to the guest. Programs throw away what was typed ahead
/// (GRUB's <c>cat</c> does, a login does), so that a script which is poured into a console at once loses lines. The next line goes once
/// the guest has taken the one before and is quiet: shortly where its output ends like a prompt, for longer else. Input that once came in
/// bulk is data rather than commands, and isn't held.
/// </summary>
/// <param name="bulkLength">Bytes read at once that count as bulk.</param>
internal sealed class InputPacer(int bulkLength)
{
    /// <summary>Milliseconds of quiet after a prompt, and without one.</summary>
    public const int AtPrompt = 100, Elsewhere = 1000;

    private readonly PromptWatch _prompt = new();
    private long _quietSince;
    private bool _holding = true;
    private bool _bulk;

    /// <summary>Notes a chunk of input as it was read.</summary>
    public void Read(int length) => _bulk |= length >= bulkLength;

    /// <summary>Notes output.</summary>
    public void Output(ReadOnlySpan<byte> output, long now)
    {
        _prompt.Add(output);
        _quietSince = now;
    }

    /// <summary>How many of the bytes that wait may be given now.</summary>
    /// <param name="waiting">The input.</param>
    /// <param name="isTaken">Whether the guest has taken all input that it was given.</param>
    /// <param name="now">Milliseconds on any clock.</param>
    public int Allow(ReadOnlySpan<byte> waiting, bool isTaken, long now)
    {
        if (_bulk)
        {
            return waiting.Length;
        }

        if (_holding && !isTaken)
        {
            _quietSince = now;
            return 0;
        }

        if (_holding && now - _quietSince < (_prompt.IsAtPrompt ? AtPrompt : Elsewhere))
        {
            return 0;
        }

        _holding = false;
        int end = waiting.IndexOfAny((byte)'\n', (byte)'\r');
        return end < 0 ? waiting.Length : end + 1;
    }

    /// <summary>Notes what the guest was given.</summary>
    public void Given(ReadOnlySpan<byte> bytes, long now)
    {
        if (bytes is [.., (byte)'\n' or (byte)'\r'])
        {
            _holding = true;
            _quietSince = now;
            _prompt.Reset();
        }
    }
}
