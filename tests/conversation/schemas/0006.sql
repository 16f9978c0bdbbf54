BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0006');
CREATE TABLE channel (
	id BIGINT NOT NULL, 
	model TEXT, 
	reset_at BIGINT, 
	CONSTRAINT pk_channel PRIMARY KEY (id)
);
INSERT INTO "channel" VALUES(1100000000000000001,'qwen3:8b',NULL);
CREATE TABLE context_window (
	channel_id BIGINT NOT NULL, 
	model TEXT NOT NULL, 
	begins_at BIGINT NOT NULL, 
	scale DOUBLE, 
	counted_at BIGINT DEFAULT 0 NOT NULL, 
	CONSTRAINT pk_context_window PRIMARY KEY (channel_id, model)
);
CREATE TABLE forgotten (
	message_id BIGINT NOT NULL, 
	at DOUBLE NOT NULL, 
	CONSTRAINT pk_forgotten PRIMARY KEY (message_id)
);
CREATE TABLE prompt (
	message_id BIGINT NOT NULL, 
	channel_id BIGINT NOT NULL, 
	guild_id BIGINT, 
	author_id BIGINT NOT NULL, 
	author_name TEXT NOT NULL, 
	parts TEXT NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	created_at DOUBLE NOT NULL, token TEXT DEFAULT '' NOT NULL, copy_id BIGINT, label TEXT, 
	CONSTRAINT pk_prompt PRIMARY KEY (message_id)
);
INSERT INTO "prompt" VALUES(1200000000000000000,1100000000000000001,7,5,'Ada','[{"type":"text","text":"Question 0"}]','chat','taken',1760000000.0,'',NULL,NULL);
INSERT INTO "prompt" VALUES(1200000000000000001,1100000000000000001,7,5,'Ada','[{"type":"text","text":"Question 1"}]','chat','taken',1760000001.0,'',NULL,NULL);
INSERT INTO "prompt" VALUES(1200000000000000002,1100000000000000001,7,5,'Ada','[{"type":"text","text":"Question 2"}]','chat','taken',1760000002.0,'',NULL,NULL);
INSERT INTO "prompt" VALUES(1200000000000000003,1100000000000000001,7,5,'Ada','[{"type":"text","text":"Question 3"}]','chat','taken',1760000003.0,'',NULL,NULL);
INSERT INTO "prompt" VALUES(1200000000000000009,1100000000000000001,NULL,5,'Ada','[{"type":"text","text":"Nobody answered"}]','chat','waiting',1760000010.0,'',NULL,NULL);
CREATE TABLE quoted (
	prompt_id BIGINT NOT NULL, 
	source_id BIGINT NOT NULL, 
	CONSTRAINT pk_quoted PRIMARY KEY (prompt_id, source_id), 
	CONSTRAINT fk_quoted_prompt_id FOREIGN KEY(prompt_id) REFERENCES prompt (message_id) ON DELETE CASCADE
);
CREATE TABLE reply (
	id INTEGER NOT NULL, 
	prompt_id BIGINT NOT NULL, 
	variant INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	text TEXT NOT NULL, 
	model TEXT NOT NULL, 
	prompt_tokens INTEGER, 
	reply_tokens INTEGER, 
	created_at DOUBLE NOT NULL, 
	finished_at DOUBLE, 
	is_open BOOLEAN DEFAULT true NOT NULL, 
	footer TEXT DEFAULT '' NOT NULL, 
	attempts INTEGER DEFAULT 1 NOT NULL, is_deleted BOOLEAN DEFAULT false NOT NULL, parts TEXT DEFAULT '[]' NOT NULL, 
	CONSTRAINT pk_reply PRIMARY KEY (id), 
	CONSTRAINT fk_reply_prompt_id FOREIGN KEY(prompt_id) REFERENCES prompt (message_id) ON DELETE CASCADE
);
INSERT INTO "reply" VALUES(1,1200000000000000000,0,'complete','An answer.','llama3.2',12,3,1760000000.5,1760000009.0,0,'',1,0,'[]');
INSERT INTO "reply" VALUES(2,1200000000000000001,0,'stopped','Half an ans','llama3.2',12,3,1760000001.5,1760000009.0,0,'',1,0,'[]');
INSERT INTO "reply" VALUES(3,1200000000000000002,0,'failed','','llama3.2',12,3,1760000002.5,1760000009.0,0,'',1,0,'[]');
INSERT INTO "reply" VALUES(4,1200000000000000003,0,'streaming','','llama3.2',12,3,1760000003.5,NULL,1,'',1,0,'[]');
CREATE TABLE reply_message (
	reply_id INTEGER NOT NULL, 
	ordinal INTEGER NOT NULL, 
	channel_id BIGINT NOT NULL, 
	message_id BIGINT, 
	nonce VARCHAR(25) NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_reply_message PRIMARY KEY (reply_id, ordinal), 
	CONSTRAINT fk_reply_message_reply_id FOREIGN KEY(reply_id) REFERENCES reply (id) ON DELETE CASCADE
);
INSERT INTO "reply_message" VALUES(1,0,1100000000000000001,1300000000000000000,'1200000000000000000-0','');
INSERT INTO "reply_message" VALUES(2,0,1100000000000000001,1300000000000000001,'1200000000000000001-0','');
INSERT INTO "reply_message" VALUES(3,0,1100000000000000001,1300000000000000002,'1200000000000000002-0','');
INSERT INTO "reply_message" VALUES(4,0,1100000000000000001,1300000000000000003,'1200000000000000003-0','-# ⏳ waiting');
CREATE TABLE reply_piece (
	reply_id INTEGER NOT NULL, 
	start INTEGER NOT NULL, 
	text TEXT NOT NULL, 
	CONSTRAINT pk_reply_piece PRIMARY KEY (reply_id, start), 
	CONSTRAINT fk_reply_piece_reply_id FOREIGN KEY(reply_id) REFERENCES reply (id) ON DELETE CASCADE
);
CREATE TABLE setting (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	CONSTRAINT pk_setting PRIMARY KEY ("key")
);
INSERT INTO "setting" VALUES('commands:1','abc');
INSERT INTO "setting" VALUES('rewrite','1');
CREATE INDEX ix_prompt_waiting ON prompt (message_id) WHERE state = 'waiting';
CREATE INDEX ix_prompt_channel_id_message_id ON prompt (channel_id, message_id);
CREATE INDEX ix_reply_open ON reply (id) WHERE is_open;
CREATE UNIQUE INDEX ix_reply_prompt_id_variant ON reply (prompt_id, variant);
CREATE INDEX ix_reply_message_message_id ON reply_message (message_id);
CREATE INDEX ix_prompt_copy_id ON prompt (copy_id);
CREATE INDEX ix_prompt_forgotten ON prompt (message_id) WHERE state = 'forgotten';
CREATE INDEX ix_quoted_source_id ON quoted (source_id);
COMMIT;
