using System.Text;

namespace Dbt.Tests.Cli;

/// <summary>
/// A console's output, and the lines typed in answer: one at each prompt. What is typed before a guest asks for it is lost when it reboots,
/// as on real Xen.
/// </summary>
internal sealed class ConsoleTranscript : Stream
{
    private const string Prompt = "dbt> ";

    private readonly Lock _lock = new();
    private readonly StringBuilder _text = new();
    private readonly SemaphoreSlim _prompts = new(0);
    private string _tail = "";

    public string Text
    {
        get
        {
            lock (_lock)
            {
                return _text.ToString();
            }
        }
    }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public void Clear()
    {
        lock (_lock)
        {
            _text.Clear();
        }
    }

    /// <summary>A stream that gives one of some lines at each prompt, and then ends.</summary>
    public Stream Answer(string lines) => new Answers(this, lines);

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (_lock)
        {
            foreach (byte value in buffer)
            {
                _text.Append((char)value);
                _tail = (_tail + (char)value)[^Math.Min(_tail.Length + 1, Prompt.Length)..];
                if (_tail == Prompt)
                {
                    _prompts.Release();
                }
            }
        }
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private sealed class Answers(ConsoleTranscript transcript, string lines) : MemoryStream
    {
        private int _at;

        public override int Read(Span<byte> buffer)
        {
            if (_at == lines.Length)
            {
                return 0;
            }

            transcript._prompts.Wait();
            int end = lines.IndexOf('\n', _at);
            string line = lines[_at..(end < 0 ? lines.Length : end + 1)];
            _at += line.Length;
            return Encoding.Latin1.GetBytes(line, buffer);
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    }
}
